"""`dr snapshot`: snapshots of the database by hand, and their copies in the other region."""
