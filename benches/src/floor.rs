//! The floor of a release over SSH: what an expert's shell does with `xargs -P` and one tuned `ssh` a host.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use deploy_testkit::SshFleet;

use crate::package::Package;

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// On the host: all in one command. `SYNC` is what is done before the switch.
const HOST: &str = r#"set -e
root=$1 id=$2 md5=$3
mkdir -p "$root/releases/$id"
cat >"$root/$id.tar.gz"
echo "$md5  $root/$id.tar.gz" | md5sum -c --quiet
tar xzf "$root/$id.tar.gz" -C "$root/releases/$id"
echo "$id $md5" >"$root/releases/$id/.marker"
cd "$root/releases/$id"
sh -c "echo before > before"
SYNC
ln -s "releases/$id" "$root/current.new"
mv -T "$root/current.new" "$root/current"
sh -c "echo after > after"
rm "$root/$id.tar.gz"
ls -1t "$root/releases" | tail -n +4 | while read -r old; do rm -rf "$root/releases/$old"; done
"#;

/// Here: one ssh for the host of a line.
const LOGIN: &str = r#"exec ssh -F none -o BatchMode=yes -o LogLevel=ERROR -o ConnectTimeout=10 \
    -o KexAlgorithms=curve25519-sha256 -o Ciphers=aes128-gcm@openssh.com \
    -o PubkeyAuthentication=yes -o PreferredAuthentications=publickey -o IdentitiesOnly=yes \
    -o GSSAPIAuthentication=no -o UserKnownHostsFile="$KNOWN" -i "$KEY" -p "$1" 127.0.0.1 \
    "sh -c '$HOST' release '$2' '$ID' '$MD5'" <"$PACKAGE"
"#;

/// A floor over some hosts.
#[derive(Clone, Debug)]
pub struct Floor {
    /// Whether the release is on the disk before the switch, as ours is.
    pub synced: bool,
    /// How many hosts at once.
    pub parallel: usize,
    /// Where the hosts are reached, and the directory of each.
    pub hosts: Vec<(SocketAddr, PathBuf)>,
    /// The key that all hosts let in.
    pub identity: PathBuf,
    /// The hosts' keys.
    pub known_hosts: PathBuf,
}

impl Floor {
    /// The hosts of a fleet.
    #[must_use]
    pub fn of(fleet: &SshFleet, parallel: usize) -> Self {
        let hosts = fleet.hosts().iter();
        Self {
            synced: false,
            parallel,
            hosts: hosts.map(|h| (h.address(), h.directory().join("floor"))).collect(),
            identity: fleet.identity().to_owned(),
            known_hosts: fleet.known_hosts().to_owned(),
        }
    }

    /// Makes the release also be on the disk before the switch.
    #[must_use]
    pub fn synced(mut self) -> Self {
        self.synced = true;
        self
    }

    /// The words of `env` that release a package as `id`.
    ///
    /// # Errors
    ///
    /// When the list of hosts cannot be written.
    pub fn words(&self, package: &Package, id: &str, into: &Path) -> Result<Vec<String>, AnyError> {
        let line = |(address, root): &(SocketAddr, PathBuf)| {
            format!("{} {}\n", address.port(), root.display())
        };
        let list = into.join("floor-hosts");
        std::fs::write(&list, self.hosts.iter().map(line).collect::<String>())?;
        let sync = if self.synced { r#"sync -f "$root""# } else { ":" };
        let of = |name: &str, value: String| format!("{name}={value}");
        let mut words = vec![
            of("HOST", HOST.replace("SYNC", sync)),
            of("KNOWN", self.known_hosts.display().to_string()),
            of("KEY", self.identity.display().to_string()),
            of("ID", id.to_owned()),
            of("MD5", package.digests.md5.to_string()),
            of("PACKAGE", package.path.display().to_string()),
        ];
        words.extend(["xargs", "-P"].map(str::to_owned));
        words.push(self.parallel.to_string());
        words.push("-a".to_owned());
        words.push(list.display().to_string());
        words.extend(["-L", "1", "sh", "-c", LOGIN, "floor"].map(str::to_owned));
        Ok(words)
    }
}
