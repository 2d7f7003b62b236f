//! The tree a package describes, by name and kind.

use std::collections::HashMap;

use super::path::components;

/// One place in a [`Tree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NodeId(usize);

/// What is at one place.
#[derive(Debug)]
pub(super) enum Node {
    Directory {
        parent: NodeId,
        children: HashMap<Box<str>, NodeId>,
    },
    File,
    /// A symbolic link, by its number in the order of the package.
    Link(usize),
}

/// Everything a package has laid out so far. Its size is bounded by the limits on entries and on
/// the length of one name: a path is held as its components, once each.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
}

impl Tree {
    pub(super) const ROOT: NodeId = NodeId(0);

    pub(super) fn new() -> Self {
        let root = Node::Directory { parent: Self::ROOT, children: HashMap::new() };
        Self { nodes: vec![root] }
    }

    /// How many places there are, the release's own directory aside.
    pub(super) fn len(&self) -> u64 {
        (self.nodes.len() - 1) as u64
    }

    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    pub(super) fn child(&self, directory: NodeId, name: &str) -> Option<NodeId> {
        match self.node(directory) {
            Node::Directory { children, .. } => children.get(name).copied(),
            Node::File | Node::Link(_) => None,
        }
    }

    pub(super) fn find(&self, path: &str) -> Option<NodeId> {
        components(path).try_fold(Self::ROOT, |at, name| self.child(at, name))
    }

    pub(super) fn add_directory(&mut self, parent: NodeId, name: &str) -> NodeId {
        let directory = Node::Directory { parent, children: HashMap::new() };
        self.add(parent, name, directory)
    }

    pub(super) fn add_file(&mut self, parent: NodeId, name: &str) -> NodeId {
        self.add(parent, name, Node::File)
    }

    pub(super) fn add_link(&mut self, parent: NodeId, name: &str, number: usize) -> NodeId {
        self.add(parent, name, Node::Link(number))
    }

    fn add(&mut self, parent: NodeId, name: &str, node: Node) -> NodeId {
        let id = NodeId(self.nodes.len());
        self.nodes.push(node);
        if let Node::Directory { children, .. } = &mut self.nodes[parent.0] {
            children.insert(name.into(), id);
        }
        id
    }
}
