"""What the network, traffic and identity types of the provider are tried with: one function for each type."""

from __future__ import annotations

from typing import Final

from tests.sandbox.provider_client import REGION
from tests.sandbox.provider_lab import ZONE, Lab, Trial, Trials, document, log_bucket

TRIALS: Final = Trials()


# -- network ----------------------------------------------------------------------------------------------------------
@TRIALS.of("aws:ec2/vpc:Vpc")
def _vpc(_: Lab) -> Trial:
    given = {"cidrBlock": "10.9.0.0/16", "enableDnsSupport": True, "enableDnsHostnames": False, "tags": {"Name": "one"}}
    changed = {"enableDnsHostnames": True, "tags": {"Name": "two"}}
    return Trial(given, changed, {"cidrBlock": "10.8.0.0/16"})


@TRIALS.of("aws:ec2/subnet:Subnet")
def _subnet(lab: Lab) -> Trial:
    place = {"vpcId": lab.vpc, "cidrBlock": "10.0.20.0/24", "availabilityZone": f"{REGION}b"}
    anew = {"cidrBlock": "10.0.21.0/24"}
    return Trial({**place, "mapPublicIpOnLaunch": False}, {"mapPublicIpOnLaunch": True}, anew)


@TRIALS.of("aws:ec2/internetGateway:InternetGateway")
def _gateway(lab: Lab) -> Trial:
    first, second = (lab.make("aws:ec2/vpc:Vpc", cidrBlock=f"10.{byte}.0.0/16").id for byte in (6, 7))
    return Trial({"vpcId": first}, {"vpcId": second}, {})


@TRIALS.of("aws:ec2/routeTable:RouteTable")
def _table(lab: Lab) -> Trial:
    return Trial({"vpcId": lab.vpc, "tags": {"Name": "one"}}, {"tags": {"Name": "two"}}, {"vpcId": "vpc-other"})


@TRIALS.of("aws:ec2/route:Route")
def _route(lab: Lab) -> Trial:
    table = lab.make("aws:ec2/routeTable:RouteTable", vpcId=lab.vpc).id
    nat = lab.make("aws:ec2/natGateway:NatGateway", subnetId=lab.subnets[0], allocationId=lab.address()).id
    given = {"routeTableId": table, "destinationCidrBlock": "0.0.0.0/0", "natGatewayId": nat}
    changed = {"natGatewayId": None, "gatewayId": lab.gateway}
    return Trial(given, changed, {"destinationCidrBlock": "192.0.2.0/24"})


@TRIALS.of("aws:ec2/routeTableAssociation:RouteTableAssociation")
def _association(lab: Lab) -> Trial:
    table = lab.make("aws:ec2/routeTable:RouteTable", vpcId=lab.vpc).id
    return Trial({"subnetId": lab.subnet(30), "routeTableId": table}, {}, {"routeTableId": "rtb-other"})


@TRIALS.of("aws:ec2/eip:Eip")
def _address(_: Lab) -> Trial:
    return Trial({"domain": "vpc", "tags": {"Name": "one"}}, {"tags": {"Name": "two", "More": "yes"}}, {"domain": "x"})


@TRIALS.of("aws:ec2/natGateway:NatGateway")
def _nat(lab: Lab) -> Trial:
    given = {"subnetId": lab.subnets[0], "allocationId": lab.address(), "connectivityType": "public"}
    return Trial(given, {"tags": {"Name": "two"}}, {"subnetId": "subnet-other"})


@TRIALS.of("aws:ec2/vpcEndpoint:VpcEndpoint")
def _endpoint(lab: Lab) -> Trial:
    given = {
        "vpcId": lab.vpc,
        "serviceName": f"com.amazonaws.{REGION}.secretsmanager",
        "vpcEndpointType": "Interface",
        "subnetIds": [lab.subnets[0]],
        "securityGroupIds": [lab.security_group()],
        "privateDnsEnabled": True,
    }
    return Trial(given, {"subnetIds": lab.subnets}, {"serviceName": f"com.amazonaws.{REGION}.ssm"})


@TRIALS.of("aws:ec2/securityGroup:SecurityGroup")
def _group(lab: Lab) -> Trial:
    given = {"name": lab.name("sg"), "description": "for trial", "vpcId": lab.vpc, "tags": {"Name": "one"}}
    return Trial(given, {"tags": {"Name": "two"}}, {"description": "for another trial"})


@TRIALS.of("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
def _ingress(lab: Lab) -> Trial:
    given = {
        "securityGroupId": lab.security_group(),
        "referencedSecurityGroupId": lab.security_group(),
        "ipProtocol": "tcp",
        "fromPort": 443,
        "toPort": 443,
        "description": "one",
    }
    return Trial(given, {"fromPort": 80, "toPort": 80, "description": "two"}, {"securityGroupId": "sg-other"})


@TRIALS.of("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule")
def _egress(lab: Lab) -> Trial:
    given = {"securityGroupId": lab.security_group(), "cidrIpv4": "0.0.0.0/0", "ipProtocol": "-1"}
    changed = {"ipProtocol": "tcp", "fromPort": 443, "toPort": 443, "cidrIpv4": "10.0.0.0/16"}
    return Trial(given, changed, {"securityGroupId": "sg-other"})


# -- identity and keys ------------------------------------------------------------------------------------------------
@TRIALS.of("aws:iam/role:Role")
def _role(lab: Lab) -> Trial:
    given = {
        "name": lab.name("role"),
        "assumeRolePolicy": document("sts:AssumeRole", Principal={"Service": "ecs-tasks.amazonaws.com"}),
        "description": "one",
        "path": "/lab/",
        "maxSessionDuration": 7200,
        "tags": {"Name": "one"},
    }
    changed = {
        "assumeRolePolicy": document("sts:AssumeRole", Principal={"Service": "lambda.amazonaws.com"}),
        "description": "two",
        "maxSessionDuration": 3600,
    }
    return Trial(given, changed, {"path": "/other/"})


@TRIALS.of("aws:iam/rolePolicy:RolePolicy")
def _role_policy(lab: Lab) -> Trial:
    role = lab.role("ecs-tasks.amazonaws.com").id
    policies = [document(f"s3:{verb}Object", Resource="*") for verb in ("Get", "Put")]
    return Trial({"role": role, "name": "may", "policy": policies[0]}, {"policy": policies[1]}, {"name": "may-not"})


@TRIALS.of("aws:kms/key:Key")
def _key(_: Lab) -> Trial:
    whole = document("kms:*", Principal={"AWS": "arn:aws:iam::123456789012:root"}, Resource="*")
    given = {
        "description": "one",
        "policy": whole,
        "enableKeyRotation": True,
        "deletionWindowInDays": 30,
        "tags": {"Name": "one"},
    }
    changed = {"description": "two", "enableKeyRotation": False, "tags": {"Name": "two"}}
    return Trial(given, changed, {"multiRegion": True})


@TRIALS.of("aws:kms/alias:Alias")
def _alias(lab: Lab) -> Trial:
    other = lab.make("aws:kms/key:Key", description="other").state["keyId"]
    given = {"name": f"alias/{lab.name('key')}", "targetKeyId": lab.key.rpartition("/")[2]}
    return Trial(given, {"targetKeyId": other}, {"name": "alias/another"})


# -- traffic ----------------------------------------------------------------------------------------------------------
@TRIALS.of("aws:acm/certificate:Certificate")
def _certificate(lab: Lab) -> Trial:
    given = {"domainName": f"{lab.name('www')}.{ZONE}", "validationMethod": "DNS", "tags": {"Name": "one"}}
    return Trial(given, {"tags": {"Name": "two"}}, {"domainName": f"other.{ZONE}"})


@TRIALS.of("aws:acm/certificateValidation:CertificateValidation")
def _validation(lab: Lab) -> Trial:
    certificate = lab.certificate()
    names = [option["resourceRecordName"] for option in certificate.state["domainValidationOptions"]]
    given = {"certificateArn": certificate.id, "validationRecordFqdns": names}
    return Trial(given, {}, {"certificateArn": "arn:aws:acm:other"})


@TRIALS.of("aws:route53/record:Record")
def _record(lab: Lab) -> Trial:
    given = {
        "zoneId": lab.zone,
        "name": f"{lab.name('record')}.{ZONE}",
        "type": "A",
        "ttl": 300,
        "records": ["192.0.2.2", "192.0.2.1"],
        "setIdentifier": "first",
        "failoverRoutingPolicies": [{"type": "SECONDARY"}],
    }
    return Trial(given, {"ttl": 60, "records": ["192.0.2.3"]}, {"setIdentifier": "second"})


@TRIALS.of("aws:route53/healthCheck:HealthCheck")
def _health_check(_: Lab) -> Trial:
    given = {
        "type": "HTTPS_STR_MATCH",
        "fqdn": "one.example.org",
        "port": 443,
        "resourcePath": "/health",
        "searchString": "ok",
        "requestInterval": 10,
        "failureThreshold": 3,
        "invertHealthcheck": True,
        "enableSni": True,
        "tags": {"Name": "one"},
    }
    changed = {"searchString": "well", "failureThreshold": 2, "invertHealthcheck": False, "tags": {"Name": "two"}}
    return Trial(given, changed, {"requestInterval": 30})


@TRIALS.of("aws:lb/loadBalancer:LoadBalancer")
def _balancer(lab: Lab) -> Trial:
    bucket = log_bucket(lab, "any")
    logs = {"bucket": bucket, "prefix": "load-balancer", "enabled": True}
    given = {
        "name": lab.name("alb"),
        "accessLogs": logs,
        "loadBalancerType": "application",
        "internal": False,
        "subnets": lab.subnets,
        "securityGroups": [lab.security_group()],
        "dropInvalidHeaderFields": True,
        "enableDeletionProtection": False,
        "idleTimeout": 60,
        "tags": {"Name": "one"},
    }
    changed = {
        "accessLogs": None,
        "idleTimeout": 120,
        "securityGroups": [lab.security_group()],
        "tags": {"Name": "two"},
    }
    return Trial(given, changed, {"internal": True})


@TRIALS.of("aws:lb/targetGroup:TargetGroup")
def _target_group(lab: Lab) -> Trial:
    check = {
        "enabled": True,
        "protocol": "HTTP",
        "path": "/health",
        "port": "traffic-port",
        "matcher": "200",
        "interval": 10,
        "timeout": 5,
        "healthyThreshold": 2,
        "unhealthyThreshold": 3,
    }
    given = {
        "name": lab.name("tg"),
        "vpcId": lab.vpc,
        "targetType": "ip",
        "protocol": "HTTP",
        "port": 8080,
        "deregistrationDelay": 30,
        "healthCheck": check,
    }
    changed = {"deregistrationDelay": 20, "healthCheck": {**check, "path": "/well", "interval": 20}}
    return Trial(given, changed, {"port": 9090})


@TRIALS.of("aws:lb/listener:Listener")
def _listener(lab: Lab) -> Trial:
    certificate = lab.certificate()
    lab.make("aws:acm/certificateValidation:CertificateValidation", certificateArn=certificate.id)
    says = {"contentType": "text/plain", "messageBody": "Not found", "statusCode": "404"}
    given = {
        "loadBalancerArn": lab.balancer,
        "port": 443,
        "protocol": "HTTPS",
        "sslPolicy": "ELBSecurityPolicy-TLS13-1-2-2021-06",
        "certificateArn": certificate.id,
        "defaultActions": [{"type": "fixed-response", "fixedResponse": says}],
        "tags": {"Name": "one"},
    }
    redirect = {"port": "443", "protocol": "HTTPS", "statusCode": "HTTP_301"}
    changed = {"defaultActions": [{"type": "redirect", "redirect": redirect}]}
    return Trial(given, changed, {"loadBalancerArn": "arn:aws:elasticloadbalancing:other"})


@TRIALS.of("aws:lb/listenerRule:ListenerRule")
def _rule(lab: Lab) -> Trial:
    says = {"contentType": "text/html", "messageBody": "<p>503</p>", "statusCode": "503"}
    given = {
        "listenerArn": lab.listener,
        "priority": 10,
        "conditions": [{"pathPattern": {"values": ["/*"]}}],
        "actions": [{"type": "fixed-response", "fixedResponse": says}],
        "tags": {"Name": "one"},
    }
    changed = {
        "priority": 20,
        "conditions": [{"pathPattern": {"values": ["/crisis"]}}],
        "actions": [{"type": "forward", "targetGroupArn": lab.target_group()}],
    }
    return Trial(given, changed, {"listenerArn": "arn:aws:elasticloadbalancing:other"})
