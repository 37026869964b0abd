"""The region's certificate for the public name, issued in peace time."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components import naming


@dataclass(frozen=True, kw_only=True)
class RegionalCertificateArgs:
    """`owns_validation_record`: exactly one of the stacks creates the validation record, which serves both.

    `ttl` in seconds, of that record.
    """

    tags: naming.Tags
    domain: str
    zone_id: pulumi.Input[str]
    owns_validation_record: bool
    ttl: int


class RegionalCertificate(pulumi.ComponentResource):
    """A certificate validated by DNS. `arn` is known only once the certificate is issued.

    ACM asks for the same CNAME in every region of an account for one name, so one record validates both regions and
    keeps renewing both.
    """

    arn: pulumi.Output[str]

    def __init__(self, name: str, args: RegionalCertificateArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform:network:RegionalCertificate", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        certificate = aws.acm.Certificate(
            name, domain_name=args.domain, validation_method="DNS", tags=dict(args.tags), opts=child
        )
        record_names = None
        if args.owns_validation_record:
            wanted = certificate.domain_validation_options[0]
            record = aws.route53.Record(
                name,
                zone_id=args.zone_id,
                name=wanted.resource_record_name.apply(str),
                type=wanted.resource_record_type.apply(str),
                records=[wanted.resource_record_value.apply(str)],
                ttl=args.ttl,
                # A stack that is built again finds the record that the one before left behind.
                allow_overwrite=True,
                # Without the record the other region's certificate stops renewing and expires months later, so it
                # stays when this stack is taken down.
                opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True),
            )
            record_names = [record.fqdn]
        validation = aws.acm.CertificateValidation(
            name, certificate_arn=certificate.arn, validation_record_fqdns=record_names, opts=child
        )
        self.arn = validation.certificate_arn
        self.register_outputs({"arn": self.arn})
