/* `sc control NAME paramchange`, which Wine's sc does not know. */
#include <stdio.h>
#include <windows.h>

int wmain(int count, wchar_t **arguments) {
    SERVICE_STATUS status;
    SC_HANDLE manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_CONNECT);
    SC_HANDLE service = count == 2 ? OpenServiceW(manager, arguments[1], SERVICE_PAUSE_CONTINUE) : NULL;
    if (service && ControlService(service, SERVICE_CONTROL_PARAMCHANGE, &status)) return 0;
    printf("error %lu\n", GetLastError());
    return 1;
}
