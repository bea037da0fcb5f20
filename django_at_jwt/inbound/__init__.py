"""What views of every role have in common."""
