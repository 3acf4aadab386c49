"""Command-line programs of snn_keras: thin, one job each."""
