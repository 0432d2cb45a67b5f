"""Where models are served: our gateways and teams' own targets, all asked alike."""
