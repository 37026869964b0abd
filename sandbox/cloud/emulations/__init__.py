"""One module a topic, each with `install(cloud)`, which patches or extends moto's backends in this process."""
