//! The instances of the simulator and their clients.

use std::collections::{HashMap, HashSet};

use crate::presence::{ClientId, InstanceId};

/// Instances and their clients. A client has one instance.
#[derive(Clone, Debug)]
pub struct SimulatedFleet {
    instances: Vec<(InstanceId, Vec<ClientId>)>,
    /// The index of the instance of each client.
    instance_index: HashMap<ClientId, usize>,
}

/// The ID of an instance or client that is listed twice.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is listed twice")]
pub struct DuplicateId(String);

/// The names of the groups of a generated fleet, which has at least this many groups.
const KINDS: [&str; 3] = ["pump", "meter", "gate"];

impl SimulatedFleet {
    /// Checks a list of instances.
    pub fn new(instances: Vec<(InstanceId, Vec<ClientId>)>) -> Result<Self, DuplicateId> {
        let (mut ids, mut instance_index) = (HashSet::new(), HashMap::new());
        for (index, (id, clients)) in instances.iter().enumerate() {
            if !ids.insert(id) {
                return Err(DuplicateId(id.to_string()));
            }
            for client in clients {
                if instance_index.insert(client.clone(), index).is_some() {
                    return Err(DuplicateId(client.to_string()));
                }
            }
        }
        Ok(Self {
            instances,
            instance_index,
        })
    }

    /// Generates `instances` instances (at least one) with `clients` clients in all. The clients are
    /// distributed evenly over three groups, or over one group for each instance if there are more
    /// instances, and the groups over the instances.
    #[must_use]
    pub fn generate(instances: usize, clients: usize) -> Self {
        let instances = instances.max(1);
        let groups = instances.max(KINDS.len());
        let mut generated: Vec<(InstanceId, Vec<ClientId>)> = (1..=instances)
            .map(|number| (instance_id(number), Vec::new()))
            .collect();
        for number in 0..clients {
            let group = number % groups;
            let (_, clients) = &mut generated[group % instances];
            clients.push(client_id(group, number / groups + 1));
        }
        Self::new(generated).unwrap_or_else(|duplicate| unreachable!("{duplicate}"))
    }

    /// The instances, each with its clients.
    #[must_use]
    pub fn instances(&self) -> &[(InstanceId, Vec<ClientId>)] {
        &self.instances
    }

    /// Every client and its instance.
    pub(super) fn clients(&self) -> impl Iterator<Item = (&InstanceId, &ClientId)> {
        let instances = self.instances.iter();
        instances.flat_map(|(id, clients)| clients.iter().map(move |client| (id, client)))
    }

    /// Whether the account has this instance.
    pub(super) fn has_instance(&self, instance: &str) -> bool {
        self.instances.iter().any(|(id, _)| id.as_str() == instance)
    }

    /// The instance that `client` belongs to.
    pub(super) fn instance_of(&self, client: &str) -> Option<&InstanceId> {
        let client = ClientId::new(client).ok()?;
        let index = self.instance_index.get(&client)?;
        Some(&self.instances[*index].0)
    }

    /// The groups, in the order of their first clients.
    pub(super) fn groups(&self) -> Vec<&str> {
        let mut groups = Vec::new();
        for (_, client) in self.clients() {
            let group = ClientId::group_of(client.as_str());
            if !groups.contains(&group) {
                groups.push(group);
            }
        }
        groups
    }
}

fn instance_id(number: usize) -> InstanceId {
    InstanceId::new(&format!("post-cn-simulated{number:02}")).expect("the ID is not empty")
}

fn client_id(group: usize, number: usize) -> ClientId {
    let kind = KINDS[group % KINDS.len()];
    let round = match group / KINDS.len() {
        0 => String::new(),
        round => format!("_{}", round + 1),
    };
    ClientId::new(format!("GID_{kind}s{round}@@@{kind}-{number:04}")).expect("the ID is not empty")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aliyun::client_id_irregularity;

    #[test]
    fn clients_are_distributed_over_groups_and_groups_over_instances() {
        let fleet = SimulatedFleet::generate(2, 300);
        let sizes: Vec<usize> = fleet
            .instances()
            .iter()
            .map(|(_, clients)| clients.len())
            .collect();
        assert_eq!(sizes, [200, 100]);
        assert_eq!(fleet.groups(), ["GID_pumps", "GID_gates", "GID_meters"]);
        let clients = || fleet.instances().iter().flat_map(|(_, clients)| clients);
        assert!(clients().all(|client| client_id_irregularity(client.as_str()).is_none()));
        assert_eq!(
            fleet.instance_of("GID_meters@@@meter-0100"),
            Some(&fleet.instances()[1].0)
        );
        assert_eq!(fleet.instance_of("GID_meters@@@meter-0101"), None);
        assert_eq!(fleet.instance_of(""), None);
    }

    #[test]
    fn every_instance_has_a_group() {
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
    fn an_id_must_not_be_listed_twice() {
        let instance = |id: &str| InstanceId::new(id).unwrap();
        let client = |id: &str| ClientId::new(id).unwrap();
        let twice = SimulatedFleet::new(vec![
            (instance("a"), vec![client("x")]),
            (instance("b"), vec![client("x")]),
        ]);
        assert_eq!(twice.unwrap_err().to_string(), "x is listed twice");
        let twice = SimulatedFleet::new(vec![(instance("a"), vec![]), (instance("a"), vec![])]);
        assert_eq!(twice.unwrap_err().to_string(), "a is listed twice");
    }
}
