"""What the AWS plugin of the engine would do, for the resource types that the program uses, as a table."""
