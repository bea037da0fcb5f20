"""An API in a project of its own, beside the example as its issuer: settings, URLs and a view, and no database."""
