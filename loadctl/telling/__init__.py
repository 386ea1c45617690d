"""What was decided, told to people: each verdict as a sentence with its numbers."""
