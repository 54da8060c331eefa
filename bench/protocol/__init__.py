"""The rules as data: one TOML file per protocol, frozen by digest once released."""
