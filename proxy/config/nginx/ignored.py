"""Directives of nginx that are read, checked and dropped: here they would change nothing that anybody sees.

Rules: each group says why. Those with `only` change something in their other form, so that is not dropped but told.
"""

from __future__ import annotations

from typing import Final

from proxy.config.nginx.specs import Spec, spec

_ANY: Final = "http server location"


def _each(names: str, one: Spec) -> dict[str, Spec]:
    return dict.fromkeys(names.split(), one)


SPECS: Final[dict[str, Spec]] = {
    # How the kernel is asked for the same bytes.
    "sendfile": spec("http server location if-location", flag=True),
    **_each("tcp_nopush tcp_nodelay aio_write reset_timedout_connection", spec(_ANY, flag=True)),
    **_each("sendfile_max_chunk aio directio directio_alignment read_ahead", spec(_ANY, 1)),
    # Memory: buffers grow and shrink by themselves.
    **_each("connection_pool_size request_pool_size client_header_buffer_size", spec("http server", 1)),
    **_each("http2_pool_size http2_body_preread_size ssl_buffer_size", spec("http server", 1)),
    **_each("postpone_output subrequest_output_buffer_size http2_chunk_size", spec(_ANY, 1)),
    **_each("proxy_busy_buffers_size proxy_temp_file_write_size", spec(_ANY, 1)),
    **_each("output_buffers gzip_buffers", spec(_ANY, 2)),
    **_each("gzip_hash gzip_window postpone_gzipping", spec(_ANY, 1)),
    "gzip_no_buffer": spec(_ANY, flag=True),
    "http2_recv_buffer_size": spec("http", 1),
    "http2_streams_index_size": spec("http server", 1),
    # Sizes of tables: dictionaries have none.
    **_each("variables_hash_max_size variables_hash_bucket_size", spec("http", 1)),
    **_each("server_names_hash_max_size server_names_hash_bucket_size", spec("http", 1)),
    **_each("map_hash_max_size map_hash_bucket_size", spec("http", 1)),
    **_each("types_hash_max_size types_hash_bucket_size", spec(_ANY, 1)),
    **_each("proxy_headers_hash_max_size proxy_headers_hash_bucket_size", spec(_ANY, 1)),
    **_each("referer_hash_max_size referer_hash_bucket_size", spec("server location", 1)),
    # Files: opened afresh, or from the cache that is always there; spools have no names and one folder.
    **_each("open_file_cache", spec(_ANY, 1, 2)),
    **_each("open_file_cache_errors open_file_cache_events", spec(_ANY, flag=True)),
    **_each("open_file_cache_min_uses open_file_cache_valid", spec(_ANY, 1)),
    "open_log_file_cache": spec(_ANY, 1, 4),
    **_each("client_body_temp_path proxy_temp_path", spec(_ANY, 1, 4)),
    **_each("fastcgi_temp_path uwsgi_temp_path scgi_temp_path", spec(_ANY, 1, 4)),  # common in configurations' heads
    "disable_symlinks": spec(_ANY, 1, 2, only="off"),
    # Events: the loop is uvloop, and the kernel shares connections out.
    **_each("multi_accept accept_mutex", spec("events", flag=True)),
    **_each("use accept_mutex_delay worker_connections worker_aio_requests", spec("events", 1)),
    "debug_connection": spec("events", 1, once=False),
    # Processes: the service's own settings rule.
    **_each("worker_rlimit_core worker_rlimit_nofile worker_priority", spec("main", 1)),
    "worker_cpu_affinity": spec("main", 1, None),
    **_each("timer_resolution debug_points lock_file working_directory", spec("main", 1)),
    **_each("pcre_jit master_process ssl_object_cache_inheritable", spec("main", flag=True)),
    "thread_pool": spec("main", 2, 3, once=False),
    # Closing: connections always linger as long as they must.
    **_each("lingering_close lingering_time lingering_timeout", spec(_ANY, 1)),
    # Browsers that are gone.
    **_each("msie_padding msie_refresh", spec(_ANY, flag=True)),
    # The default, which is all there is.
    "proxy_store": spec(_ANY, 1, only="off"),
    "proxy_store_access": spec(_ANY, 1, 3),
    "proxy_cache": spec(_ANY, 1, only="off"),
    # TLS: the library chooses its groups for DH, and clients no longer ask for stapled answers.
    "ssl_dhparam": spec("http server", 1),
    **_each("ssl_stapling ssl_stapling_verify", spec("http server", flag=True)),
    **_each("ssl_stapling_file ssl_stapling_responder", spec("http server", 1)),
    # HTTP/2: gone from nginx too; it warns and goes on.
    **_each("http2_idle_timeout http2_max_concurrent_pushes http2_max_field_size", spec("http server", 1)),
    **_each("http2_max_header_size http2_max_requests http2_recv_timeout", spec("http server", 1)),
    "http2_push": spec(_ANY, 1, once=False),
    "http2_push_preload": spec(_ANY, flag=True),
}
