//! Generates the messages and the clients from `proto/`, with `protox` instead of protoc. It also writes the file descriptor
//! set, for server reflection and for the build script of `tsio`, which generates the server traits from it.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use prost::Message as _;

const PROTO: &str = "../../proto";
const FILES: [&str; 13] = [
    "tsio/v1/common.proto",
    "tsio/v1/register.proto",
    "tsio/v1/eligibility.proto",
    "tsio/v1/offers.proto",
    "tsio/v1/terms.proto",
    "tsio/v1/approvals.proto",
    "tsio/v1/awards.proto",
    "tsio/v1/funds.proto",
    "tsio/v1/finance.proto",
    "tsio/v1/referrals.proto",
    "tsio/v1/record.proto",
    "tsio/v1/names.proto",
    "tsio/v1/work.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={PROTO}");
    let descriptors = protox::compile(FILES, [PROTO])?;
    let path = PathBuf::from(env::var("OUT_DIR")?).join("tsio_descriptor.bin");
    // `compile_fds` ignores `file_descriptor_set_path`, so the set is written here.
    fs::write(&path, descriptors.encode_to_vec())?;
    println!("cargo::metadata=DESCRIPTORS={}", path.display());
    let mut config = tonic_prost_build::Config::new();
    // The command line finds the descriptor of a message by its type name.
    config.enable_type_names();
    tonic_prost_build::configure().build_server(false).compile_fds_with_config(descriptors, config)?;
    Ok(())
}
