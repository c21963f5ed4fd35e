//! Rules over Cargo.lock and the manifests that no compiler checks.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::Path;

fn root(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn table(file: &str) -> toml::Table {
    root(file).parse().unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn locked() -> Vec<(String, String)> {
    let lock = table("Cargo.lock");
    let packages = lock["package"].as_array().expect("Cargo.lock lists packages");
    packages
        .iter()
        .map(|package| {
            (package["name"].as_str().unwrap().to_owned(), package["version"].as_str().unwrap().to_owned())
        })
        .collect()
}

#[test]
fn there_is_one_arrow() {
    let arrow: Vec<_> = locked()
        .into_iter()
        .filter(|(name, _)| name == "arrow" || name.starts_with("arrow-") || name == "parquet")
        .collect();
    assert!(arrow.len() > 5, "the lock file names the arrow crates: {arrow:?}");
    let versions: BTreeSet<_> = arrow.iter().map(|(_, version)| version.clone()).collect();
    assert_eq!(versions.len(), 1, "one version of Arrow: {arrow:?}");
    assert!(versions.iter().all(|version| version.starts_with("59.")), "{versions:?}");
}

#[test]
fn tls_is_rings() {
    let names: BTreeSet<_> = locked().into_iter().map(|(name, _)| name).collect();
    assert!(names.contains("ring"));
    for heavy in ["aws-lc-rs", "aws-lc-sys", "openssl-sys", "native-tls"] {
        assert!(!names.contains(heavy), "{heavy} is in the lock file");
    }
}

/// Dependencies point one way, and only the runtime knows timely (ARCHITECTURE.md, invariant 5).
#[test]
fn crates_depend_as_the_map_says() {
    let forbidden: &[(&str, &[&str])] = &[
        ("atproto", &["tokio", "timely", "skytide-firehose", "skytide-timestream", "skytide-runtime"]),
        ("firehose", &["timely", "arrow-array", "skytide-timestream", "skytide-runtime", "skytide-connect"]),
        ("timestream", &["tokio", "timely", "skytide-atproto", "skytide-firehose", "skytide-runtime"]),
        ("runtime", &["tokio", "skytide-atproto", "skytide-firehose", "skytide-connect"]),
        ("connect", &["timely", "skytide-sim"]),
        ("sim", &["timely", "arrow-array", "skytide-firehose", "skytide-timestream", "skytide-runtime"]),
        ("skytide", &["timely"]),
        ("python", &["timely", "tokio", "tokio-tungstenite", "rustls", "skytide-runtime", "skytide-sim"]),
        ("soak", &["timely", "arrow-array", "skytide-timestream", "skytide-runtime", "skytide-connect"]),
    ];
    for (name, never) in forbidden {
        let manifest = table(&format!("crates/{name}/Cargo.toml"));
        let dependencies = manifest["dependencies"].as_table().expect("a crate has dependencies");
        for other in *never {
            assert!(!dependencies.contains_key(*other), "crates/{name} depends on {other}");
        }
    }
}

/// Each direct dependency has its reason in CONTRIBUTING.md.
#[test]
fn every_dependency_has_a_reason() {
    let reasons = root("CONTRIBUTING.md");
    let workspace = table("Cargo.toml");
    let dependencies = workspace["workspace"]["dependencies"].as_table().unwrap();
    let missing: Vec<_> = dependencies
        .keys()
        .filter(|name| !name.starts_with("skytide") && !reasons.contains(&format!("`{name}`")))
        .collect();
    assert!(missing.is_empty(), "CONTRIBUTING.md gives no reason for {missing:?}");
}

/// What the workspace lists, some crate of it uses.
#[test]
fn every_dependency_is_used() {
    let workspace = table("Cargo.toml");
    let mut unused: BTreeSet<_> =
        workspace["workspace"]["dependencies"].as_table().unwrap().keys().cloned().collect();
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates").read_dir().unwrap();
    let manifests = crates.map(|entry| format!("crates/{}/Cargo.toml", entry.unwrap().file_name().display()));
    for file in manifests.chain(["xtask/Cargo.toml".to_owned()]) {
        let manifest = table(&file);
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for name in
                manifest.get(kind).and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::keys)
            {
                unused.remove(name);
            }
        }
    }
    assert!(unused.is_empty(), "the workspace lists {unused:?} for nobody");
}
