"""The tests of swarmsim; a folder here mirrors a package there."""
