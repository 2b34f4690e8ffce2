//! Generates the server traits of the contract. The messages are those of `tsio-client`, whose build script compiles `proto/`
//! and passes the file descriptor set on.

use std::error::Error;
use std::{env, fs};

use prost::Message as _;
use tonic_prost_build::FileDescriptorSet;

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::var("DEP_TSIO_CONTRACT_DESCRIPTORS")?;
    println!("cargo::rerun-if-changed={path}");
    let descriptors = FileDescriptorSet::decode(fs::read(path)?.as_slice())?;
    tonic_prost_build::configure()
        .build_client(false)
        .extern_path(".tsio.v1", "::tsio_client::proto")
        // A change is encoded once for all watchers.
        .extern_path(".tsio.v1.WatchOffersResponse", "crate::grpc::EncodedMessage")
        .compile_fds(descriptors)?;
    Ok(())
}
