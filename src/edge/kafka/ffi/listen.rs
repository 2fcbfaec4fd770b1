//! librdkafka's interceptors. They report every request that was sent and the end of each one.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::Arc;

use rdkafka::bindings as rd;
use rdkafka::config::NativeClientConfig;

use super::super::requests::Requests;

const NAME: &CStr = c"hourseal-requests";
const OK: rd::rd_kafka_resp_err_t = rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;

/// Registers interceptors in `config`, so that a client made from it reports each request to `requests`.
/// librdkafka accepts interceptors only while it creates the client. rdkafka's own producers create their
/// client themselves.
///
/// # Safety
/// `requests` must live until the client is gone: the client's threads write to it.
pub(super) unsafe fn listen(config: &NativeClientConfig, requests: &Arc<Requests>) {
    let opaque = Arc::as_ptr(requests).cast::<c_void>().cast_mut();
    // SAFETY: the configuration is alive. The name is NUL-terminated and static. The caller keeps the target
    // of `opaque` alive.
    let code = unsafe {
        rd::rd_kafka_conf_interceptor_add_on_new(config.ptr(), NAME.as_ptr(), Some(on_new), opaque)
    };
    assert_eq!(code, OK, "librdkafka refuses an interceptor only if its name is taken");
}

unsafe extern "C" fn on_new(
    client: *mut rd::rd_kafka_t,
    _config: *const rd::rd_kafka_conf_t,
    requests: *mut c_void,
    _message: *mut c_char,
    _size: usize,
) -> rd::rd_kafka_resp_err_t {
    // SAFETY: librdkafka calls this while it creates `client`. Only then may interceptors be added.
    unsafe {
        let sent =
            rd::rd_kafka_interceptor_add_on_request_sent(client, NAME.as_ptr(), Some(on_sent), requests);
        if sent != OK {
            return sent;
        }
        rd::rd_kafka_interceptor_add_on_response_received(client, NAME.as_ptr(), Some(on_ended), requests)
    }
}

/// Called after the whole request was written to the socket.
unsafe extern "C" fn on_sent(
    _client: *mut rd::rd_kafka_t,
    _socket: c_int,
    _broker: *const c_char,
    _broker_id: i32,
    api: i16,
    _version: i16,
    _correlation: i32,
    _size: usize,
    requests: *mut c_void,
) -> rd::rd_kafka_resp_err_t {
    // SAFETY: `listen` got the pointer from an `Arc` that outlives the client.
    unsafe { requests.cast::<Requests>().cast_const().as_ref() }.inspect(|requests| requests.sent(api));
    OK
}

/// Called when the request has an answer or will get none: its connection was closed, or it timed out.
unsafe extern "C" fn on_ended(
    _client: *mut rd::rd_kafka_t,
    _socket: c_int,
    _broker: *const c_char,
    _broker_id: i32,
    api: i16,
    _version: i16,
    _correlation: i32,
    _size: usize,
    _round_trip: i64,
    error: rd::rd_kafka_resp_err_t,
    requests: *mut c_void,
) -> rd::rd_kafka_resp_err_t {
    // SAFETY: as in `on_sent`.
    let requests = unsafe { requests.cast::<Requests>().cast_const().as_ref() };
    requests.inspect(|requests| if error == OK { requests.answered(api) } else { requests.unanswered(api) });
    OK
}
