//! All integration tests: one binary, one link. A file is a behaviour.

mod sim_server;
