"""Which root of trust a cluster is asked to have (SwarmKit manager/controlapi/ca_rotation.go).

A spec may name the root it wants, with or without its key, or ask for any new one by another `force_rotate`. What comes
out is the cluster's root as it shall be: the same, the same with another key, or with a rotation under way, which
`ca.rotation` then carries through. Without its key a root can sign only by an external CA, which must be there.
"""

from __future__ import annotations

from ...api.objects import Cluster, RootCa, RootRotation
from ...api.specs import YEAR, ClusterSpec, ExternalCa, Micros, RootCertificate
from ...ca.signing import Reachable
from ...errors import ApiError
from .lookup import invalid_argument

MIN_ROOT_EXPIRATION: Micros = YEAR


class CaConfig:
    """One spec's wishes against one cluster; `generated` is a root to take if any new one will do."""

    def __init__(
        self, cluster: Cluster, spec: ClusterSpec, generated: RootCertificate, reachable: Reachable, now: Micros
    ) -> None:
        self.root = cluster.root
        self.spec = spec
        self.generated = generated
        self.reachable = reachable
        self.now = now

    def wanted_root(self) -> RootCa:
        """`validateCAConfig`. Raises `ApiError`."""
        spec, root = self.spec, self.root
        wanted, key = spec.signing_ca_cert, spec.signing_ca_key
        if key and wanted is None:
            raise invalid_argument("if a signing CA key is provided, the signing CA cert must also be provided")
        signers: list[ExternalCa] = []
        if not root.ca_key:
            if wanted == root.ca_cert and key:
                self._check_certificate(wanted, key)
                return self._with_key(key)
            signers = self._external(root.ca_cert, "current")
        if wanted is None:
            return self._without_wish(signers)
        self._check_certificate(wanted, key)
        if not key:
            self._external(wanted, "desired")
        if wanted == root.ca_cert:
            return self._with_key(key)
        if root.rotation is not None and wanted == root.rotation.ca_cert:
            return root.evolve(rotation=root.rotation.evolve(ca_key=key), last_forced_rotation=spec.force_rotate)
        return self._rotate_to(wanted, key, signers)

    def _without_wish(self, signers: list[ExternalCa]) -> RootCa:
        root, rotation = self.root, self.root.rotation
        if root.last_forced_rotation != self.spec.force_rotate:
            return self._rotate_to(self.generated, self.generated.key, signers)
        if rotation is not None and not rotation.ca_key:
            self._external(rotation.ca_cert, "next")
        return root

    def _with_key(self, key: str) -> RootCa:
        """The same root with another key, or none: any certificate of it stays valid, so there is nothing to rotate."""
        return self.root.evolve(ca_key=key, rotation=None, last_forced_rotation=self.spec.force_rotate)

    def _rotate_to(self, wanted: RootCertificate, key: str, signers: list[ExternalCa]) -> RootCa:
        """`newRootRotationObject`; a rotation that is under way is replaced."""
        root = self.root
        if wanted.key == root.ca_cert.key:
            raise invalid_argument("Cannot update to a cert with an identical key")
        if not root.ca_key and not key:
            text = "rotating from one external CA to a different external CA is not supported"
            raise invalid_argument(text)
        if not root.ca_key and not any(external.protocol == "cfssl" for external in signers):
            raise invalid_argument(
                "must provide an external CA for the current external root CA to generate a cross-signed certificate"
            )
        cross_signed = RootCertificate(
            wanted.name, wanted.key, wanted.not_after, wanted.not_before, signed_by=root.ca_cert.name
        )
        rotation = RootRotation(wanted, key, cross_signed)
        return root.evolve(rotation=rotation, last_forced_rotation=self.spec.force_rotate)

    # -- what is looked at --
    def _check_certificate(self, wanted: RootCertificate, key: str) -> None:
        if not wanted.not_before <= self.now <= wanted.not_after:
            raise invalid_argument("x509: certificate has expired or is not yet valid")
        if key and key != wanted.key:
            raise invalid_argument("certificate key mismatch")
        if wanted.count != 1:
            raise invalid_argument("the desired CA certificate cannot contain multiple certificates")
        if wanted.not_after < self.now + MIN_ROOT_EXPIRATION:
            raise invalid_argument("CA certificate expires too soon")

    def _external(self, root: RootCertificate, which: str) -> list[ExternalCa]:
        """The external CAs for that root, one of which must answer (`validateHasAtLeastOneExternalCA`)."""
        theirs = [e for e in self.spec.external_cas if (e.certificate or self.root.ca_cert) == root]
        if any(e.protocol == "cfssl" and self.reachable(e, root) for e in theirs):
            return theirs
        text = f"there must be at least one valid, reachable external CA corresponding to the {which} CA certificate"
        raise ApiError("InvalidArgument", text)
