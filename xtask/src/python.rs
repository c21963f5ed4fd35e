//! The Python package: its wheel, and its checks in an environment of their own under `target/python`.
//!
//! Everything but the interpreter is got here: the environment is made from the requirements that
//! `pyproject.toml` names, and kept for as long as they and the interpreter stay the same.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Steps, cargo, forget_ourselves, root, say, target};

/// The interpreters that are looked for where `SKYTIDE_PYTHON` names none, the newest first.
const NAMES: &[&str] = &["python3.14", "python3.13", "python3.12", "python3.11", "python3"];
/// Exits with 0 where the package can be tested: 3.11 or newer, able to make an environment. Prints what it is.
const PROBE: &str = "\
import sys, venv, ensurepip
print(sys.executable, sys.version)
sys.exit(sys.version_info < (3, 11))";
/// What a wheel may weigh, in bytes.
const HEAVIEST: u64 = 20_000_000;
/// The tests in `crates/skytide` that run the program, which is built for them.
const PROGRAMS_TESTS: &str = "program";
/// The examples, from `crates/python`.
const EXAMPLES: &str = "../../examples/python";

/// An interpreter that the package can be tested with.
pub(crate) struct Python {
    program: OsString,
    /// Path and version, as it says itself.
    about: String,
}

/// The interpreter that `SKYTIDE_PYTHON` names, which must do, or the first on the path that does; `None`
/// where there is none.
pub(crate) fn find() -> Result<Option<Python>, String> {
    if let Some(program) = env::var_os("SKYTIDE_PYTHON") {
        return match probe(&program) {
            Some(python) => Ok(Some(python)),
            None => {
                Err(format!("SKYTIDE_PYTHON={} is no Python of 3.11 or newer with venv", program.display()))
            }
        };
    }
    Ok(NAMES.iter().find_map(|name| probe(name.as_ref())))
}

fn probe(program: &std::ffi::OsStr) -> Option<Python> {
    let output = Command::new(program).args(["-c", PROBE]).stderr(Stdio::null()).output().ok()?;
    let about = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| Python { program: program.to_owned(), about })
}

/// What to say where there is no interpreter.
pub(crate) const NONE: &str = "no Python of 3.11 or newer with venv was found (SKYTIDE_PYTHON may name one)";

/// Builds the wheel as the tests were built, and runs every check of the package over it.
pub(crate) fn check(steps: &mut Steps, python: &Python) -> Result<(), String> {
    let environment = Environment::make(steps, python)?;
    let wheel = environment.build(steps, "dev", &environment.folder.join("wheel"), &[])?;
    let mut install = environment.module("pip");
    install.args(["install", "--quiet", "--no-deps", "--no-index", "--force-reinstall"]).arg(&wheel);
    steps.run("Python: install", install)?;

    let mut lints = environment.module("ruff");
    lints.args(["check", "--config", "pyproject.toml", ".", EXAMPLES]);
    steps.run("Python: lints", lints)?;
    let mut format = environment.module("ruff");
    format.args(["format", "--check", "--config", "pyproject.toml", ".", EXAMPLES]);
    steps.run("Python: format", format)?;
    let mut types = environment.module("mypy");
    types.args(["--strict", "python/skytide", "tests", EXAMPLES]);
    steps.run("Python: types", types)?;
    let mut stubs = environment.module("mypy.stubtest");
    stubs.args(["skytide._skytide", "--mypy-config-file", "pyproject.toml"]);
    steps.run("Python: stubs", stubs)?;

    // As a part of its own tests: so what the workspace's tests built is what is used. A plain build has
    // other features.
    steps.run(
        "Python: the program",
        cargo(&["test", "--workspace", "--all-features", "--no-run", "--test", PROGRAMS_TESTS]),
    )?;
    let program = target().join("debug").join(format!("skytide{}", env::consts::EXE_SUFFIX));
    let mut tests = environment.module("pytest");
    tests.env("SKYTIDE_PROGRAM", program);
    tests.arg("-o").arg(format!("cache_dir={}", environment.folder.join("pytest").display()));
    steps.run("Python: tests", tests)
}

/// Builds the wheel that is shipped into `target/wheels`.
pub(crate) fn wheel() -> Result<(), String> {
    let python = find()?.ok_or(NONE)?;
    let mut steps = Steps::default();
    let environment = Environment::make(&mut steps, &python)?;
    let hidden = folders_of_this_machine()?;
    let wheel = environment.build(&mut steps, "dist", &target().join("wheels"), &hidden)?;
    let mut fit = Command::new(&environment.python);
    fit.arg(package().join("tools/check_wheel.py")).arg(wheel).args(&hidden);
    steps.run("Python: the wheel is fit to be shipped", fit)
}

/// The folders whose names say nothing to those who get a wheel: of the checkout, of what cargo builds and
/// has got, and of the compiler.
fn folders_of_this_machine() -> Result<Vec<PathBuf>, String> {
    let printed = |command: &mut Command| match command.output() {
        Ok(output) if output.status.success() => {
            Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim().to_owned()))
        }
        Ok(output) => Err(format!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr))),
        Err(error) => Err(format!("{command:?} does not start: {error}")),
    };
    let sysroot = printed(Command::new("rustc").args(["--print", "sysroot"]).current_dir(root()))?;
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo = home.or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    Ok([Some(root().to_owned()), Some(target()), Some(sysroot), cargo].into_iter().flatten().collect())
}

/// A virtual environment with all that building and testing need.
struct Environment {
    folder: PathBuf,
    python: PathBuf,
}

impl Environment {
    /// The environment under `target/python`; made anew if the requirements or the interpreter are others
    /// than they were.
    fn make(steps: &mut Steps, python: &Python) -> Result<Self, String> {
        let folder = target().join("python");
        let home = folder.join("environment");
        let bin = if cfg!(windows) { "Scripts" } else { "bin" };
        let python_of_it = home.join(bin).join(format!("python{}", env::consts::EXE_SUFFIX));
        let requirements = requirements()?;
        let made_from = format!("{}{}", python.about, requirements.join("\n"));
        // Inside it, so that it goes when the environment is cleared.
        let stamp = home.join("made-from.txt");
        let environment = Self { folder, python: python_of_it };
        if fs::read_to_string(&stamp).is_ok_and(|old| old == made_from) {
            return Ok(environment);
        }
        let mut make = Command::new(&python.program);
        make.args(["-m", "venv", "--clear"]).arg(&home);
        steps.run("Python: environment", make)?;
        let mut install = environment.module("pip");
        install.args(["install", "--quiet"]).args(&requirements);
        steps.run("Python: requirements", install)?;
        fs::write(&stamp, made_from).map_err(|error| format!("{}: {error}", stamp.display()))?;
        Ok(environment)
    }

    /// `python -m name`, run in the package's folder, with caches under `target`.
    fn module(&self, name: &str) -> Command {
        let mut command = Command::new(&self.python);
        command
            .args(["-m", name])
            .current_dir(package())
            .env_remove("PYTHONPATH")
            .env("PYTHONPYCACHEPREFIX", self.folder.join("pycache"))
            .env("MYPY_CACHE_DIR", self.folder.join("mypy"))
            .env("RUFF_CACHE_DIR", self.folder.join("ruff"));
        forget_ourselves(&mut command);
        command
    }

    /// Builds the wheel alone into the folder and weighs it. It is stripped: of a profile with debug
    /// information the library is many times the wheel that users get. `hidden` are folders that must not be
    /// named in it: with them it is built apart from all else, which is built without such flags.
    fn build(
        &self,
        steps: &mut Steps,
        profile: &str,
        into: &Path,
        hidden: &[PathBuf],
    ) -> Result<PathBuf, String> {
        // The name has the version and the platform in it: an old one would stay beside the new one.
        if let Err(error) = fs::remove_dir_all(into)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(format!("{}: {error}", into.display()));
        }
        let mut build = self.module("maturin");
        build.args(["build", "--strip", "--profile", profile, "--out"]).arg(into);
        build.arg("--interpreter").arg(&self.python).arg("--target-dir");
        if hidden.is_empty() {
            build.arg(target());
        } else {
            build.arg(target().join("shipped"));
            hide(&mut build, hidden);
        }
        steps.run("Python: wheel", build)?;
        let unread = |error| format!("{}: {error}", into.display());
        let mut wheels = fs::read_dir(into).map_err(unread)?;
        let wheel = wheels.next().ok_or_else(|| format!("{}: no wheel", into.display()))?.map_err(unread)?;
        let bytes = wheel.metadata().map_err(unread)?.len();
        let megabytes = format!("{}.{}", bytes / 1_000_000, bytes / 100_000 % 10);
        say(&format!("{}: {megabytes} MB\n", wheel.path().display()));
        if bytes >= HEAVIEST {
            return Err(format!("a wheel of {megabytes} MB; it may have {} MB", HEAVIEST / 1_000_000));
        }
        Ok(wheel.path())
    }
}

/// Has rustc and the C compiler write other names for these folders.
fn hide(build: &mut Command, folders: &[PathBuf]) {
    let flags = |flag: &str| -> Vec<String> {
        folders.iter().map(|folder| format!("{flag}={}=.", folder.display())).collect()
    };
    let (rust, c) = (flags("--remap-path-prefix"), flags("-ffile-prefix-map"));
    build.env("CARGO_ENCODED_RUSTFLAGS", rust.join("\x1f")).env("CFLAGS", c.join(" "));
}

fn package() -> PathBuf {
    root().join("crates").join("python")
}

/// What builds the package and what tests it, as `pyproject.toml` names them.
fn requirements() -> Result<Vec<String>, String> {
    let path = package().join("pyproject.toml");
    let say = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let text = fs::read_to_string(&path).map_err(|error| say(&error))?;
    let table: toml::Table = text.parse().map_err(|error| say(&error))?;
    let lists = [
        table.get("build-system").and_then(|system| system.get("requires")),
        table
            .get("project")
            .and_then(|p| p.get("optional-dependencies"))
            .and_then(|extras| extras.get("test")),
    ];
    let mut requirements = Vec::new();
    for list in lists {
        let list = list.and_then(toml::Value::as_array);
        let list = list.ok_or_else(|| say(&"no build-system.requires or no extra \"test\""))?;
        requirements.extend(list.iter().filter_map(toml::Value::as_str).map(str::to_owned));
    }
    Ok(requirements)
}
