//! The envelope against libsodium: `cargo bench --manifest-path benches/envelope/Cargo.toml`.
