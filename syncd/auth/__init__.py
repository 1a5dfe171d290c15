"""Who somebody is: accounts, tokens, sessions, devices, share links. Knows no HTTP; stores by their protocols."""
