"""How and when users logged in: recorded at login, kept with the authorization."""
