//! Asks the coordinator of a group for its members. rdkafka's own call panics on a name that is not UTF-8,
//! and finds no member of a group with the protocol of KIP-848.

use std::ffi::{CStr, CString, c_char};
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::types::RDKafkaErrorCode;

use super::request::{Answer, Options, ask};

/// A member of a group as the coordinator describes it. The member chose its client id itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::edge::kafka) struct MemberDescription {
    pub(in crate::edge::kafka) client_id: String,
    pub(in crate::edge::kafka) host: String,
}

/// Lists the members of a group of either protocol, classic or KIP-848. A group that does not exist has none.
/// It waits at most for `wait` and half a second.
///
/// # Errors
/// [`RDKafkaErrorCode::OperationTimedOut`] if the coordinator did not answer in time,
/// [`RDKafkaErrorCode::InvalidArgument`] for a name that is empty or has a NUL, and for a group that is not
/// one of consumers, [`RDKafkaErrorCode::UnsupportedFeature`] if the broker lists no members, or the
/// coordinator's code, such as [`RDKafkaErrorCode::GroupAuthorizationFailed`] (it takes the right DESCRIBE,
/// which READ implies).
pub(in crate::edge::kafka) fn group_members<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    group: &str,
    wait: Duration,
) -> Result<Vec<MemberDescription>, RDKafkaErrorCode> {
    if group.is_empty() {
        return Err(RDKafkaErrorCode::InvalidArgument);
    }
    let name = CString::new(group).map_err(|_| RDKafkaErrorCode::InvalidArgument)?;
    let mut names: [*const c_char; 1] = [name.as_ptr()];
    // librdkafka sends one request per protocol, one after the other, each with this time-out.
    let each = wait / 2;
    let request = rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS;
    let options = Options::new(consumer, request, each)?;
    // SAFETY: the array has one entry, which is NUL-terminated. Both are alive until the call returns, and
    // librdkafka copies them.
    let answer = unsafe {
        ask(consumer, &options, wait, |client, options, queue| {
            rd::rd_kafka_DescribeConsumerGroups(client, names.as_mut_ptr(), names.len(), options, queue);
        })
    }?;
    match members(&answer) {
        Err(RDKafkaErrorCode::GroupIdNotFound) => Ok(Vec::new()),
        members => members,
    }
}

/// The members of the only group of an answer.
fn members(answer: &Answer) -> Result<Vec<MemberDescription>, RDKafkaErrorCode> {
    // SAFETY: the event is alive. Its result is null for another kind of event. The array of groups has
    // `count` entries, none of which is null. They live as long as the event, as do the error and the members
    // of each.
    unsafe {
        let result = rd::rd_kafka_event_DescribeConsumerGroups_result(answer.as_ptr());
        if result.is_null() {
            return Err(RDKafkaErrorCode::Fail);
        }
        let mut count = 0;
        let groups = rd::rd_kafka_DescribeConsumerGroups_result_groups(result, &mut count);
        if count == 0 {
            return Err(RDKafkaErrorCode::Fail);
        }
        let group = *groups;
        let error = rd::rd_kafka_ConsumerGroupDescription_error(group);
        if !error.is_null() {
            return Err(rd::rd_kafka_error_code(error).into());
        }
        let members = 0..rd::rd_kafka_ConsumerGroupDescription_member_count(group);
        Ok(members.map(|at| description(rd::rd_kafka_ConsumerGroupDescription_member(group, at))).collect())
    }
}

/// # Safety
/// `member` is alive.
unsafe fn description(member: *const rd::rd_kafka_MemberDescription_t) -> MemberDescription {
    // SAFETY: the member is alive, and its texts are parts of it.
    unsafe {
        MemberDescription {
            client_id: text(rd::rd_kafka_MemberDescription_client_id(member)),
            host: text(rd::rd_kafka_MemberDescription_host(member)),
        }
    }
}

/// # Safety
/// `text` is null, or alive and NUL-terminated.
unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: the text is alive and NUL-terminated.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}
