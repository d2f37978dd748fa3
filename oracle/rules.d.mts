export const RULES: readonly { readonly rule: string; readonly file: string; readonly from: string }[];
