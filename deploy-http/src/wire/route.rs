//! The routes of the agent's API: one list, from which the router, the client and the tests are made.

/// What a token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// Looking at tasks.
    Read,
    /// Looking at tasks, giving them and cancelling them.
    Deploy,
}

/// Defines the routes, and with them the list of all of them.
macro_rules! routes {
    ($($(#[$meta:meta])* $name:ident => $method:literal $path:literal $scope:ident;)*) => {
        /// A route of the agent's API.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(dead_code, reason = "a client alone does not use every route")]
        pub(crate) enum Route {
            $($(#[$meta])* $name,)*
        }

        #[allow(dead_code, reason = "a client alone does not use every route")]
        impl Route {
            /// Every route.
            pub(crate) const ALL: &[Self] = &[$(Self::$name),*];

            /// The HTTP method.
            pub(crate) const fn method(self) -> &'static str {
                match self { $(Self::$name => $method,)* }
            }

            /// The path, with `{id}` where a task's id stands.
            pub(crate) const fn path(self) -> &'static str {
                match self { $(Self::$name => $path,)* }
            }

            /// What a token must allow.
            pub(crate) const fn scope(self) -> Scope {
                match self { $(Self::$name => Scope::$scope,)* }
            }
        }
    };
}

routes! {
    /// Gives a task.
    Submit => "POST" "/v1/tasks" Deploy;
    /// How far a task has come.
    State => "GET" "/v1/tasks/{id}" Read;
    /// The events of a task, as they happen.
    Events => "GET" "/v1/tasks/{id}/events" Read;
    /// Cancels a task.
    Cancel => "POST" "/v1/tasks/{id}/cancel" Deploy;
    /// Whether the node is there.
    Health => "GET" "/v1/health" Read;
    /// The description of the API.
    OpenApi => "GET" "/v1/openapi.json" Read;
}

#[cfg(feature = "client")]
impl Route {
    /// The route's URL at an agent, for a task.
    pub(crate) fn url(self, base: &url::Url, id: &deploy_core::model::TaskId) -> url::Url {
        let mut url = base.clone();
        // An id needs no escaping, and an endpoint has neither query nor fragment.
        let path = self.path().replace("{id}", id.as_str());
        url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
        url
    }
}

#[cfg(all(test, feature = "client"))]
mod tests {
    use super::*;

    #[test]
    fn a_route_stands_below_the_path_of_the_endpoint() {
        let id = deploy_core::model::TaskId::new("t-1").unwrap();
        let url = |base: &str| Route::Events.url(&url::Url::parse(base).unwrap(), &id);
        assert_eq!(url("http://h:1").as_str(), "http://h:1/v1/tasks/t-1/events");
        assert_eq!(url("https://gate/east/").as_str(), "https://gate/east/v1/tasks/t-1/events");
    }
}
