//! The routes of each API: one list, from which the router, the client and the tests are made.

/// What a token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// Looking at tasks.
    Read,
    /// Looking at tasks, giving them and cancelling them.
    Deploy,
}

/// The routes of an API: a closed list.
pub(crate) trait Listed: Copy + std::fmt::Debug + Send + Sync + 'static {
    /// Every route.
    #[allow(dead_code, reason = "a client alone does not use it")]
    const ALL: &'static [Self];

    /// The HTTP method.
    #[allow(dead_code, reason = "a client alone does not use it")]
    fn method(self) -> &'static str;

    /// The path, with `{id}` where an id stands.
    fn path(self) -> &'static str;

    /// What a token must allow.
    #[allow(dead_code, reason = "a client alone does not use it")]
    fn scope(self) -> Scope;
}

/// Defines the routes of an API, and with them the list of all of them.
macro_rules! routes {
    ($(#[$about:meta])* $routes:ident {
        $($(#[$meta:meta])* $name:ident => $method:literal $path:literal $scope:ident;)*
    }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(dead_code, reason = "a client alone does not use every route")]
        pub(crate) enum $routes {
            $($(#[$meta])* $name,)*
        }

        impl Listed for $routes {
            const ALL: &'static [Self] = &[$(Self::$name),*];

            fn method(self) -> &'static str {
                match self { $(Self::$name => $method,)* }
            }

            fn path(self) -> &'static str {
                match self { $(Self::$name => $path,)* }
            }

            fn scope(self) -> Scope {
                match self { $(Self::$name => Scope::$scope,)* }
            }
        }
    };
}

routes! {
    /// A route of the agent's API.
    Route {
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
}

#[cfg(feature = "server")]
routes! {
    /// A route of the control node's API.
    ControlRoute {
        /// Files a request.
        Submit => "POST" "/v1/deployments" Deploy;
        /// The deployments that match.
        List => "GET" "/v1/deployments" Read;
        /// How far a deployment has come.
        State => "GET" "/v1/deployments/{id}" Read;
        /// The events of a deployment, as they happen.
        Events => "GET" "/v1/deployments/{id}/events" Read;
        /// Nothing new starts.
        Pause => "POST" "/v1/deployments/{id}/pause" Deploy;
        /// It goes on.
        Resume => "POST" "/v1/deployments/{id}/resume" Deploy;
        /// The rest follows the canary.
        Promote => "POST" "/v1/deployments/{id}/promote" Deploy;
        /// It ends.
        Cancel => "POST" "/v1/deployments/{id}/cancel" Deploy;
        /// The failed hosts are done again.
        Retry => "POST" "/v1/deployments/{id}/retry" Deploy;
        /// The hosts are put back.
        RollBack => "POST" "/v1/deployments/{id}/rollback" Deploy;
        /// It goes on without a host.
        Skip => "POST" "/v1/deployments/{id}/skip" Deploy;
        /// It has more time.
        Extend => "POST" "/v1/deployments/{id}/extend" Deploy;
        /// Its gates are asked again.
        Recheck => "POST" "/v1/deployments/{id}/recheck" Deploy;
        /// What a request would do.
        Plan => "POST" "/v1/plans" Deploy;
        /// Files the request of a plan.
        Apply => "POST" "/v1/plans/apply" Deploy;
        /// What became of a host.
        Host => "GET" "/v1/hosts/{id}/deployments" Read;
        /// Whether the node is there.
        Health => "GET" "/v1/health" Read;
        /// The description of the API.
        OpenApi => "GET" "/v1/openapi.json" Read;
    }
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
