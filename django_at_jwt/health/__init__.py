"""The health of both sides, issuing and accepting tokens: the report, and the view for load balancers."""
