"""What live requests tell of two versions: reports that add up, questions, and when there is enough."""
