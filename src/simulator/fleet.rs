//! Which instances there are, and whose clients are whose.

use std::collections::{HashMap, HashSet};

use crate::presence::{ClientId, InstanceId};

/// The instances of the stand-in's account and their clients. No client has two instances.
#[derive(Clone, Debug)]
pub struct SimulatedFleet {
    instances: Vec<(InstanceId, Vec<ClientId>)>,
    /// By client, the index of its instance.
    instance_index: HashMap<ClientId, usize>,
}

/// A list of instances and clients that is no fleet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DuplicateId {
    /// An instance stands twice in the list.
    #[error("instance {0} is listed twice")]
    Instance(InstanceId),
    /// A client stands twice in the list.
    #[error("client {0} is listed twice")]
    Client(ClientId),
}

/// What the groups of a made-up fleet are called; it has at least as many groups as this.
const KINDS: [&str; 3] = ["pump", "meter", "gate"];

impl SimulatedFleet {
    /// Takes a list as it is.
    pub fn new(instances: Vec<(InstanceId, Vec<ClientId>)>) -> Result<Self, DuplicateId> {
        let (mut ids, mut clients) = (HashSet::new(), HashSet::new());
        if let Some((id, _)) = instances.iter().find(|(id, _)| !ids.insert(id)) {
            return Err(DuplicateId::Instance(id.clone()));
        }
        if let Some(client) = instances
            .iter()
            .flat_map(|(_, list)| list)
            .find(|client| !clients.insert(*client))
        {
            return Err(DuplicateId::Client(client.clone()));
        }
        Ok(Self::indexed(instances))
    }

    /// Makes `instances` instances (at least one) up, with `clients` clients in all. They are dealt
    /// out evenly to three groups, or to one for each instance if those are more, and the groups
    /// to the instances.
    #[must_use]
    pub fn generate(instances: usize, clients: usize) -> Self {
        let instances = instances.max(1);
        let groups = instances.max(KINDS.len());
        let mut made_up: Vec<(InstanceId, Vec<ClientId>)> = (1..=instances)
            .map(|number| (instance_id(number), Vec::new()))
            .collect();
        for number in 0..clients {
            let group = number % groups;
            made_up[group % instances]
                .1
                .push(client_id(group, number / groups + 1));
        }
        Self::indexed(made_up)
    }

    fn indexed(instances: Vec<(InstanceId, Vec<ClientId>)>) -> Self {
        let clients = instances.iter().enumerate();
        let instance_index = clients.flat_map(|(index, (_, clients))| {
            clients.iter().map(move |client| (client.clone(), index))
        });
        Self {
            instance_index: instance_index.collect(),
            instances,
        }
    }

    /// The instances, each with its clients.
    #[must_use]
    pub fn instances(&self) -> &[(InstanceId, Vec<ClientId>)] {
        &self.instances
    }

    /// Whether the account has this instance.
    pub(super) fn has_instance(&self, instance: &str) -> bool {
        self.instances.iter().any(|(id, _)| id.as_str() == instance)
    }

    /// The instance that `client` belongs to.
    pub(super) fn instance_of(&self, client: &str) -> Option<&InstanceId> {
        let client = ClientId::new(client).ok()?;
        self.instance_index
            .get(&client)
            .map(|index| &self.instances[*index].0)
    }

    /// The groups, in the order of their first clients.
    pub(super) fn groups(&self) -> Vec<&str> {
        let mut groups = Vec::new();
        for client in self.instances.iter().flat_map(|(_, clients)| clients) {
            let group = ClientId::group_of(client.as_str());
            if !groups.contains(&group) {
                groups.push(group);
            }
        }
        groups
    }
}

fn instance_id(number: usize) -> InstanceId {
    InstanceId::new(&format!("post-cn-simulated{number:02}")).expect("a name is not empty")
}

fn client_id(group: usize, number: usize) -> ClientId {
    let kind = KINDS[group % KINDS.len()];
    let round = match group / KINDS.len() {
        0 => String::new(),
        round => format!("_{}", round + 1),
    };
    ClientId::new(format!("GID_{kind}s{round}@@@{kind}-{number:04}")).expect("a name is not empty")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_dealt_out_to_groups_and_groups_to_instances() {
        let fleet = SimulatedFleet::generate(2, 300);
        let sizes: Vec<usize> = fleet
            .instances()
            .iter()
            .map(|(_, clients)| clients.len())
            .collect();
        assert_eq!(sizes, [200, 100]);
        assert_eq!(fleet.groups(), ["GID_pumps", "GID_gates", "GID_meters"]);
        let clients = || fleet.instances().iter().flat_map(|(_, clients)| clients);
        assert!(clients().all(|client| client.irregularity().is_none()));
        assert_eq!(
            fleet.instance_of("GID_meters@@@meter-0100"),
            Some(&fleet.instances()[1].0)
        );
        assert_eq!(fleet.instance_of("GID_meters@@@meter-0101"), None);
        assert_eq!(fleet.instance_of(""), None);
    }

    #[test]
    fn every_instance_has_a_group_however_many_there_are() {
        let fleet = SimulatedFleet::generate(7, 70);
        assert!(
            fleet
                .instances()
                .iter()
                .all(|(_, clients)| clients.len() == 10)
        );
        assert_eq!(fleet.groups().len(), 7);
    }

    #[test]
    fn nothing_is_listed_twice() {
        let instance = |id: &str| InstanceId::new(id).unwrap();
        let client = |id: &str| ClientId::new(id).unwrap();
        let twice = SimulatedFleet::new(vec![
            (instance("a"), vec![client("x")]),
            (instance("b"), vec![client("x")]),
        ]);
        assert_eq!(twice.unwrap_err(), DuplicateId::Client(client("x")));
        let twice = SimulatedFleet::new(vec![(instance("a"), vec![]), (instance("a"), vec![])]);
        assert_eq!(twice.unwrap_err(), DuplicateId::Instance(instance("a")));
    }
}
