"""Who may do what: IAM's decision on each call that a role of the program makes, and which grant it used."""
