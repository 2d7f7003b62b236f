mod bot;
mod crash;
mod gates;
#[cfg(feature = "ssh")]
mod ssh;
#[cfg(not(feature = "ssh"))]
mod without_ssh;
mod world;
