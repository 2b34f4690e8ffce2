//! Generates the gRPC code from `proto/`, with `protox` in the place of protoc, and keeps the file descriptor set for
//! server reflection.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use prost::Message as _;

const FILES: [&str; 11] = [
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
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    // `compile_fds` ignores `file_descriptor_set_path`, so the set is written here.
    fs::write(out.join("tsio_descriptor.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
