/* Wine 8 ends a program that asks its pdh.dll for a list of counters. Here there are none: how busy the processor is, is not
   known, and everything else goes on. */
#include <windows.h>

#define NOTHING 0xC0000BB8 /* PDH_CSTATUS_NO_OBJECT */
#define EXPORT(name) __declspec(dllexport) LONG WINAPI name(void) { return (LONG)NOTHING; }

EXPORT(PdhAddEnglishCounterW)
EXPORT(PdhCloseQuery)
EXPORT(PdhCollectQueryData)
EXPORT(PdhEnumObjectsW)
EXPORT(PdhGetFormattedCounterArrayW)
EXPORT(PdhGetFormattedCounterValue)
EXPORT(PdhOpenQueryW)
EXPORT(PdhRemoveCounter)
