"""Recorded AWS requests as a CloudFormation template."""
