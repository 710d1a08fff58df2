"""The wire protocol, played: recorded sessions against an exchange, and an exchange that is played against a peer."""
