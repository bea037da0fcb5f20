"""An API in a separate project, with the example as its issuer: settings, URLs and a view, without a database."""
