"""What happens to the user's files when something goes wrong while they are written."""
