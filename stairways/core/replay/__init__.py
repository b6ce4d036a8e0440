"""What a replay finds and how: findings, the other sum, and who is to blame for a difference."""
