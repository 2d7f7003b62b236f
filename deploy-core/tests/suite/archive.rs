//! Hostile and benign packages, by `inspect` and by `unpack`, in a jail that is watched.

/// Writes one test per line: the package is refused by both, for the reason given.
macro_rules! refused {
    ($($name:ident: $package:expr => $reason:literal;)+) => {
        $(
            #[test]
            fn $name() {
                crate::archive::jail::assert_refused(&$package, $reason);
            }
        )+
    };
}

/// Writes one test per line: the package is accepted by both, and lays out exactly this.
macro_rules! accepted {
    ($($name:ident: $package:expr => [$($line:literal),* $(,)?];)+) => {
        $(
            #[test]
            fn $name() {
                crate::archive::jail::assert_accepted(&$package, &[$($line),*]);
            }
        )+
    };
}

mod benign;
mod bombs;
mod formats;
mod jail;
mod links;
mod mutations;
mod names;
mod streams;
mod tar_builder;
mod tars;
mod zip_builder;
mod zips;
