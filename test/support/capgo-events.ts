// Events as Capgo's plugin sends them, for tests. Enters: what is to differ. Leaves: an event's JSON value.
export const CAPGO_DEVICE = "3b0f6a52-91c7-4c55-a0f1-2f7f4d1f9b10";
/** By the device's clock, unless it says otherwise. */
export const CAPGO_AT_MS = Date.UTC(2026, 0, 31, 11);

/** From an Android device whose store build is 4.2.0; undefined takes a field away. */
export function capgoEvent(fields: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    platform: "android",
    device_id: CAPGO_DEVICE,
    app_id: "com.acme.till",
    custom_id: "",
    version_build: "4.2.0",
    version_code: "4200",
    version_os: "15",
    version_name: "4.2.7",
    old_version_name: "",
    plugin_version: "8.51.23",
    is_emulator: false,
    is_prod: true,
    install_source: "com.android.vending",
    defaultChannel: "production",
    action: "app_moved_to_foreground",
    timestamp: CAPGO_AT_MS,
    ...fields,
  };
}
