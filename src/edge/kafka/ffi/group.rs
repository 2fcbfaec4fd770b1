//! Asks the brokers for the members of a group. rdkafka's own call panics on a name that is not UTF-8.
//!
//! librdkafka's admin request `DescribeConsumerGroups` would also list the members of a group of KIP-848. It
//! is not used: if the coordinator is dead when the client is closed, librdkafka 2.12 aborts the process
//! (`rd_kafka_enq_once_del_source_return`: `eonce->refcnt > 0`).

use std::ffi::{CStr, CString, c_char};
use std::ptr;
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::types::RDKafkaErrorCode;

use super::request::OK;

/// A member of a group as the coordinator describes it. The member chose its client id itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::edge::kafka) struct MemberDescription {
    pub(in crate::edge::kafka) client_id: String,
    pub(in crate::edge::kafka) host: String,
}

/// Lists the members of a group of the classic protocol. A group that does not exist has none. It waits at
/// most for `wait`.
///
/// # Errors
/// [`RDKafkaErrorCode::InvalidArgument`] for a name that is empty or has a NUL, or librdkafka's code, such as
/// [`RDKafkaErrorCode::OperationTimedOut`]. The coordinator's code for this group, such as
/// [`RDKafkaErrorCode::GroupAuthorizationFailed`] (it takes the right DESCRIBE, which READ implies).
pub(in crate::edge::kafka) fn group_members<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    group: &str,
    wait: Duration,
) -> Result<Vec<MemberDescription>, RDKafkaErrorCode> {
    if group.is_empty() {
        return Err(RDKafkaErrorCode::InvalidArgument);
    }
    let name = CString::new(group).map_err(|_| RDKafkaErrorCode::InvalidArgument)?;
    let wait = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
    let mut list = ptr::null();
    // SAFETY: the client is alive, the name is NUL-terminated, and the result is valid for writing.
    let code =
        unsafe { rd::rd_kafka_list_groups(consumer.client().native_ptr(), name.as_ptr(), &mut list, wait) };
    if list.is_null() {
        return if code == OK { Ok(Vec::new()) } else { Err(code.into()) };
    }
    // SAFETY: the list is alive until it is destroyed, once, below. Nothing of it is kept.
    unsafe {
        let members = if code == OK { members(&*list) } else { Err(code.into()) };
        rd::rd_kafka_group_list_destroy(list);
        members
    }
}

/// # Safety
/// The list came from librdkafka and is alive.
unsafe fn members(list: &rd::rd_kafka_group_list) -> Result<Vec<MemberDescription>, RDKafkaErrorCode> {
    let mut members = Vec::new();
    for at in 0..usize::try_from(list.group_cnt).unwrap_or(0) {
        // SAFETY: the array has `group_cnt` groups, and each has `member_cnt` members, with their texts.
        unsafe {
            let group = &*list.groups.add(at);
            if group.err != OK {
                return Err(group.err.into());
            }
            for at in 0..usize::try_from(group.member_cnt).unwrap_or(0) {
                let member = &*group.members.add(at);
                let (client_id, host) = (text(member.client_id), text(member.client_host));
                members.push(MemberDescription { client_id, host });
            }
        }
    }
    Ok(members)
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
