"""Access logs in the laboratory: how they are read, what another strategy would have made of them, which limits fit."""
