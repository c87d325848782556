"""Settings of the nginx with Lua that benches compare with; all that it writes is in one folder."""
import pathlib

CONF = """
daemon off; worker_processes {workers}; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
load_module /usr/lib/nginx/modules/ndk_http_module.so;
load_module /usr/lib/nginx/modules/ngx_http_lua_module.so;
events {{ worker_connections 8192; }}
http {{
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  tcp_nodelay on; keepalive_requests 10000000; default_type application/json;
  lua_package_path "/usr/share/lua/5.1/?.lua;;";
{http}
}}
"""


def write_settings(folder, workers, http):
    """Writes them, and returns where; `http` is what stands in the block of that name."""
    path = pathlib.Path(folder, "nginx.conf")
    path.write_text(CONF.format(folder=folder, workers=workers, http=http), encoding="ascii")
    return str(path)
