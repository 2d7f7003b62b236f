//! Login shells of all kinds, and what other users of the host can see.

use deploy_core::Exit;

use crate::support::{Sshd, run};

/// An sshd for whose users `shell` is the login shell.
fn with_shell(shell: &str) -> Sshd {
    // Only the server sees the other file of passwords.
    let script = "sed \"s|^root:\\(.*\\):[^:]*$|root:\\1:$0|\" /etc/passwd >/run/sshd/passwd.$$ && \
                  mount --bind /run/sshd/passwd.$$ /etc/passwd && rm -f /run/sshd/passwd.$$; exec \"$@\"";
    Sshd::wrapped("", &["unshare", "-m", "--propagation", "private", "sh", "-c", script, shell])
}

#[tokio::test]
async fn every_login_shell_passes_scripts_on() {
    for shell in ["/bin/bash", "/bin/dash", "/bin/busybox", "/usr/bin/fish", "/usr/bin/tcsh"] {
        assert!(std::path::Path::new(shell).exists(), "apt-get install busybox fish tcsh");
        let shell = if shell == "/bin/busybox" { busybox() } else { shell.to_owned() };
        let sshd = with_shell(&shell);
        let session = sshd.session().await;
        let script =
            "echo \"$0|$#|$(cat)\"; set -- a b; trap 'echo bye' EXIT; kill -0 $$ && exit 5";
        let ran = run(&session, script, b"it's \\ $HOME !".to_vec()).await;
        assert_eq!(ran.exit.as_ref().unwrap(), &Exit::Exited(5), "{shell} {ran:?} {}", sshd.log());
        assert_eq!(ran.text(), "sh|0|it's \\ $HOME !\nbye\n", "{shell}");
        let asked = run(&session, "echo $SHELL", Vec::new()).await;
        assert_eq!(asked.text().trim(), shell);
    }
}

/// A name by which busybox is a shell.
fn busybox() -> String {
    let directory = std::env::temp_dir().join("deploy-ssh-busybox");
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("sh");
    if !path.exists() {
        let _ = std::os::unix::fs::symlink("/bin/busybox", &path);
    }
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_login_shells_say_before_the_script_is_not_its_output() {
    let sshd =
        Sshd::with("ForceCommand echo welcome; echo to you >&2; eval \"$SSH_ORIGINAL_COMMAND\"");
    let session = sshd.session().await;
    let ran = run(&session, "echo out; echo err >&2", Vec::new()).await;
    assert_eq!(ran.exit.unwrap(), Exit::Exited(0));
    assert_eq!((ran.stdout.as_slice(), ran.stderr.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
}

#[tokio::test]
async fn a_login_shell_that_refuses_is_quoted() {
    let sshd = Sshd::with("ForceCommand echo this account is closed >&2; exit 1");
    let session = sshd.session().await;
    let error = run(&session, "true", Vec::new()).await.exit.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    // Its status is heard as well, unless the connection is over before.
    assert!(source.ends_with("this account is closed"), "{source}");
}

#[tokio::test]
async fn nobody_on_the_host_can_read_the_script() {
    let sshd = Sshd::start();
    let session = sshd.session().await;
    // All that is on a command line or in an environment while the script runs. Its own child finds
    // neither the script's text nor the proof of its end.
    let script = ": canary-of-the-script\n\
        to=$(cat); cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' >$to";
    let seen = sshd.path("seen");
    let ran = run(&session, script, seen.display().to_string().into_bytes()).await;
    assert_eq!(ran.exit.unwrap(), Exit::Exited(0));
    let seen = String::from_utf8_lossy(&std::fs::read(seen).unwrap()).into_owned();
    assert!(seen.contains("deploy-boot"), "{seen}");
    assert!(!seen.contains("canary-of-the-script"));
}

/// A host whose tools are those of busybox, without some.
fn with_busybox_tools(without: &[&str]) -> Sshd {
    let sshd = Sshd::start();
    let tools = sshd.path("tools");
    std::fs::create_dir(&tools).unwrap();
    let mut install = std::process::Command::new("busybox");
    let installed = install.args(["--install", "-s"]).arg(&tools).status();
    let installed = installed.expect("apt-get install busybox");
    assert!(installed.success());
    for tool in without {
        std::fs::remove_file(tools.join(tool)).unwrap();
    }
    sshd.add(&format!("SetEnv PATH={}", tools.display()));
    sshd
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_that_read_ahead_take_nothing_of_the_commands_own_input() {
    // The head of busybox reads ahead. Where there is none, dd does its work; where there is no setsid, the
    // script shares the session of its login shell.
    for without in [&[][..], &["head"], &["setsid"], &["setsid", "head"]] {
        let sshd = with_busybox_tools(without);
        let session = sshd.session().await;
        let script = "read -r first; echo \"$first|$(wc -c)\"; exit 5";
        let input = [b"one\n".to_vec(), vec![b'x'; 100_000]].concat();
        let ran = run(&session, script, input).await;
        assert_eq!(ran.exit.as_ref().unwrap(), &Exit::Exited(5), "{without:?} {ran:?}");
        assert_eq!(ran.text(), "one|100000\n", "{without:?}");
    }
}
