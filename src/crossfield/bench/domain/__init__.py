"""The cross-domain benchmark: any model over crystals, molecules, surfaces, reactions and plain physics."""
