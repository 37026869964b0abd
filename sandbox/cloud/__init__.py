"""The emulated AWS: a moto server with both regions, and emulations of what moto lacks, fakes or wrongly accepts."""
