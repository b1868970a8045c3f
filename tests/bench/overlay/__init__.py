"""What our overlay costs, against three others on the same tree."""
